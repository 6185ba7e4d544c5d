"""Tests of the server agent."""
