"""Widgets that several screens use, one a module; a module with a single user lives in that screen's folder."""
