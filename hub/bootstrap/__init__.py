"""The composition root: `office` for the commands, `service` for `rollcall-hub serve`.

Two modules, so that a command does not wait for everything the service imports.
"""
