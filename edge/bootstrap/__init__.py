"""The composition root: settings become cameras, stores, loops. The only place that knows all of them.

Import from its modules: a command that reads the record must not wait for cameras, models and the connection.
"""
