"""A campaign of faults over several hosts: run by scripts/campaign, not by pytest."""
