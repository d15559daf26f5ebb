"""The commands, a module for each room of the house. What a module's `room` holds, `tutor/cli.py` takes over."""
