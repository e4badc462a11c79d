"""Alembic migrations of the control state's tables; run by `control.database`, never by hand."""
