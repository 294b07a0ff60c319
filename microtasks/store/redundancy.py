"""How many answers a task may get at most: the project's number, or one of its own. One meaning everywhere.

`task.redundancy` is something else: the seats that a task has at this moment. While it stops when sure they
grow one by one, and a seat that is taken stays when the owner lowers the number.
"""

#: As SQL, of task `t` and its project `o`.
MOST = "greatest(coalesce(t.own_redundancy, o.redundancy), t.n_answers)"
