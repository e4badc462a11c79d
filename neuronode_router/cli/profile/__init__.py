"""`neuronode profile`: show, compare, check and change profiles."""
