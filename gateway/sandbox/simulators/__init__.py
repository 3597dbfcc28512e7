"""Simulated neighbours of the gateway: pupil registry, population database (c06), sector portal, population platform.

Each is a real HTTP server in a process of its own (``python -m gateway.sandbox.simulators``) with a fault plan and a
durable book. The rule: a simulator knows nothing of the gateway but the wire. It imports nothing from the stages, and
doubled, overtaken or missing effects are counted here, by somebody other than the one who is to be judged.
"""
