"""Assignment: handing out tasks, leases, seats, answers, stopping, sweeping."""
