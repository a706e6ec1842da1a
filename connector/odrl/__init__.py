"""The policy engine: ODRL 2.2 read, judged, compared, explained. Pure: time, vocabularies and claims are arguments.

    model        what a policy is                       vocabulary   what its words mean
    jsonld       policy <-> JSON-LD                     operands     typed values, operators, taxonomies
    yamlfmt      policy <- the YAML language            inherit      what the parents of a policy add to it
    units        what converts into each other          expand       shared properties into atomic rules
    premises     constraints -> closures                windows      times joined into one sorted list
    ledger       constraints on what is on record       compile      policy -> closures and an index
    evaluate     may this request be served now         compliance   every premise of every rule, as a report
    canonical    equality beyond spelling               compare      does one policy lie within another
    analyse      policies taken together: containment, conflicts, change, meet, counter-offer
    explain      a decision for people and for peers    phrases      its words in three languages
    cases        questions and their answers             remarks      what a policy leaves out

Source: ODRL Information Model 2.2 and ODRL Vocabulary & Expression 2.2 (W3C Recommendations, 15 February 2018).
"""
