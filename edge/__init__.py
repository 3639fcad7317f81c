"""The unit: camera to recognition to SQLite and CSV, and over MQTT to the hub."""
