"""A stand-in for ``func start``: runs this project's function_app.py on one machine, without Azure and without Docker.

README.md beside this file says what it does, and what the real host does beyond it.
"""
