"""A learner's text becomes statements; one file per way of writing. Nothing here runs what it reads."""
