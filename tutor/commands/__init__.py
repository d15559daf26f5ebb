"""The commands, a module for each room of the house."""
