"""How gradebooks of earlier versions become those of this one (Alembic)."""
