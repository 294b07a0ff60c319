"""crowd-kit: its majority and Dawid-Skene on our labels; is its majority ours?"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pandas
from crowdkit.aggregation import DawidSkene, MajorityVote

home = Path(sys.argv[1])
found = list(home.glob("crowdkit/*.crowdkit.csv"))
if not found:
    sys.exit(0)
answers = pandas.read_csv(found[0], dtype=str)
ours = pandas.read_csv(next(home.glob("package/*-consensus.csv")), dtype=str).dropna(subset=["value"])
ours = ours.set_index("task")["value"]
votes = MajorityVote().fit_predict(answers)
modelled = DawidSkene(n_iter=50).fit_predict(answers)
same, model = (int((made.reindex(ours.index) == ours).sum()) for made in (votes, modelled))
said = f"{len(answers)} labels; majority equal in {same} of {len(ours)} tasks, Dawid-Skene in {model}"
print(json.dumps({"ok": same == len(ours), "said": said, "version": version("crowd-kit")}))
