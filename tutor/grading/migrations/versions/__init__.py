"""One file for each change of the gradebook's tables, in their order."""
