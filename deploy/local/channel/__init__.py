"""The sample channel: a real conda channel made of what this machine has, for where conda-forge is out of reach.

`python -m deploy.local.channel DIRECTORY` packages a CPython of this machine, the Debian libraries it links to and
some 140 wheels, indexes them as conda-forge is indexed, and says in `sample.json` what a machine needs to use them.
"""

from deploy.local.channel.make import ChannelInfo, default_python, make_channel, read_info
from deploy.local.channel.problem import ChannelError

__all__ = ["ChannelError", "ChannelInfo", "default_python", "make_channel", "read_info"]
