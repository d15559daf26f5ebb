"""What other systems take: one file for each."""
