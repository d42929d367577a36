"""The packages of environments as conda channels: `oci://registry/namespace/environment`.

Access is that of the environment: whoever may pull its image may pull its packages. `handlers` decides what a
repository of a channel serves, `routes` translates and waits for what is being fetched.
"""
