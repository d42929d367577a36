"""The one-machine run: a private Postgres and RabbitMQ and the five services under one supervisor.

`python -m deploy.local up|down|status|logs|demo`, or the Makefile's targets of the same names.
"""
