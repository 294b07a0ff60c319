"""What a volunteer may do besides tasks: see and keep their work, certificates, teams, being forgotten.

All opt-in, all plain forms. A GET changes nothing: programs that look at mail open every link in it.
"""

from microtasks.web.volunteers.me import certificates, claims, contributions, teams
from microtasks.web.volunteers.me.frame import blueprint

__all__ = ["blueprint", "certificates", "claims", "contributions", "teams"]
