"""Lines as they stand in old ships' logs, written for this sample: does the line say what the weather was?"""

from __future__ import annotations

SENTENCES: tuple[tuple[str, str], ...] = (
    ("Fresh breeze from the south-west, squalls of rain towards midnight.", "yes"),
    ("Served out the last of the lemon juice to the crew.", "no"),
    ("Dense fog all morning; sounded the bell every minute.", "yes"),
    ("Sighted two whales off the port bow.", "no"),
    ("Barometer falling fast since noon, heavy swell from the north.", "yes"),
    ("The carpenter mended the rudder of the long boat.", "no"),
    ("Snow fell through the night and lies a foot deep on deck.", "yes"),
    ("Exchanged letters with the barque Mary Ann, bound for Hull.", "no"),
    ("Calm and clear, not a breath of wind; the sea like glass.", "yes"),
    ("Thermometer stood at 31 degrees in the shade.", "yes"),
    ("Took on forty casks of water and six sheep.", "no"),
    ("Lost sight of the coast at four in the afternoon.", "no"),
    ("Thunder and lightning to the eastward, then hail as large as peas.", "yes"),
    ("Punished the cook for sleeping on his watch.", "no"),
    ("Gale increasing; took in the main topsail and lay to.", "yes"),
    ("Buried John Pell, able seaman, at sea this forenoon.", "no"),
    ("A light frost on the rigging at dawn, cloudless sky.", "yes"),
    ("The men danced on deck until the lamps were put out.", "no"),
    ("Drizzle and low cloud, no sight of the sun for the third day.", "yes"),
    ("Anchored in nine fathoms, sandy ground, the fort bearing north.", "no"),
    ("Wind backed to the east and died away by sunset.", "yes"),
    ("Opened a cask of beef and found it short by eleven pieces.", "no"),
    ("Ice on all sides as far as the eye can see, and bitterly cold.", "yes"),
    ("Found the longitude by chronometer: 24 degrees 10 minutes west.", "no"),
)
