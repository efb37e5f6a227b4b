"""A local Google Cloud and GitHub, as far as deploying an Octue service needs them, on one loopback port.

The action never imports this package; they meet over the wire. State is in memory and starts afresh with every process.
"""
