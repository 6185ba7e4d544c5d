"""The gateway: any Redis client talks RESP to it, it talks to the service through the switch."""
