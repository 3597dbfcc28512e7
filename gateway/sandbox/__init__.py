"""Everything a newcomer needs around the gateway: real servers, simulated neighbours, the demo."""
