"""Events over RabbitMQ: the only home of kombu, and of nameko and eventlet behind our own names.

`topology` says which exchanges and queues there are, `relay` carries events from the outbox to the broker,
`consumer` brings them to handlers, `service` runs a nameko process, `health` shows how a process is.
Nothing is imported here: a process that only publishes never loads nameko.
"""
