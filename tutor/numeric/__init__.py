"""Everything with numbers in it: torch is imported here and nowhere above."""
