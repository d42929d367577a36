"""What two services or more do alike: submission, demand for artifacts, child processes."""
