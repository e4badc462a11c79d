"""Who may do what, and which profile answers whom."""
