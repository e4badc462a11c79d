"""The SQL database: connections, all tables, migrations. This room must not know what the tables mean."""
