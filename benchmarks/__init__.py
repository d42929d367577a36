"""What Condarium costs, measured from the outside on this machine: `make bench`."""
