"""Real servers of others that tests start: installed from the system's packages where they are missing."""
