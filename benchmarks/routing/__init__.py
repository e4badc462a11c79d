"""Cost against quality on published outcomes of a small and a large deployment."""
