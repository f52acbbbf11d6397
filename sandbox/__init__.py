"""A strict local double of the cloud services that decant talks to. See README.md."""
