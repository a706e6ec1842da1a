"""What policies mean, taken together: one within another, in conflict, what changes, what both permit, what is still needed.

    boxes      sets of requests as unions of boxes       axes       the values of one operand, cut where policies cut them
    normal     policies as unions of boxes               contain    contains, equivalent, disjoint, with a witness
    words      boxes in words                            conflict   conflicts and dead rules inside a policy
    diff       what a change gains and loses             meet       what two policies both permit, as a policy
    residual   what is still needed for a permit         counter    the nearest policy both sides can accept

All of it stands on the operators and the evaluator that decide real requests; there is no second reading of ODRL here.
"""
