"""Shadow comparisons: another profile answers some requests once more, and the answers are compared."""
