"""The embedded P4 switch: front end, back end, runtime and P4Runtime server."""
