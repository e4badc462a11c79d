"""Alembic migrations of the control state's tables; run by `storage.database`, never by hand."""
