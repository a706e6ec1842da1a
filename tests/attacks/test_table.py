"""Every row of the two tables of facts that this product answers to, each with the tests that play it: a row without one fails here.

`ATTACKS` has the rows of attacks on identity and trust: an expected answer, and where it is played, payload by payload. `FIELD` has the
rows of what a real EDC with its wallet puts on the wire, and the rule that we made of each. A reference is `file::test`, with the
beginnings of ids of parametrised cases where it names payloads.

Where the table of attacks says 403 for what is presented (T24 to T32), we answer 401, the same for every cause: Dataspace Protocol 2025-1
leaves the status to the binding, the official kit asks for any 4xx, EDC answers 401 (field row 39), and a peer that can tell a bad token
from a bad credential learns which check it failed. A cause that may pass is 503 (field row 40): a 401 ends a negotiation there.
"""

from __future__ import annotations

import ast
import functools
import importlib
from dataclasses import dataclass
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    """What a row says, and where it is played."""

    says: str
    played: tuple[str, ...]


_TOKENS = "attacks/test_tokens.py::test_a_token_that_lies_is_refused"
_SHOWN = "attacks/test_presentations.py::test_what_is_shown_and_lies_proves_nothing"
_LISTS = "attacks/test_presentations.py::test_a_list_that_cannot_be_relied_upon_withdraws_what_rests_on_it"
_BODIES = "attacks/test_doors.py::test_a_body_that_is_made_to_hurt_is_refused_at_once"
_DOCUMENTS = "attacks/test_tokens.py::test_a_document_that_lies_proves_nobody"
_MORE = "attacks/test_presentations.py::"
_ADDRESSES = "attacks/test_addresses.py::"
_DOORS = "attacks/test_doors.py::"
_STANDING = "attacks/test_standing.py::"
_TENANTS = "attacks/test_tenants.py::"
_DATA = "attacks/test_data.py::"
_OAUTH2 = "identity/oauth2/test_provider.py::"
_KIT = "scenarios/test_dcp_kit.py::"
_EDC = "official/test_edc_dcp.py::"
_HOLDER = "identity/test_holder.py::"
_PROVEN = "identity/test_verifier.py::test_a_sender_is_proven_with_four_questions_and_known_afterwards"


def _of(test: str, *ids: str) -> str:
    return f"{test}[{'|'.join(ids)}]"


def _alone(test: str, *names: str) -> tuple[str, ...]:
    return tuple(test + name for name in names)


ATTACKS = {
    "T1": Row("401", (_of(_TOKENS, "T1 alg 'none'", "T1 alg 'None'", "T1 empty signature"),)),
    "T2": Row("401", (_of(_TOKENS, *(f"T2 HMAC with the {one}" for one in ("PEM", "DER", "JWK", "JWK canonical"))),)),
    "T3": Row(
        "401",
        (
            _of(_TOKENS, "T3 RS256 with an EC key", "T3 ES384 with an EC key"),
            "attacks/test_tokens.py::test_t3_a_key_that_is_too_weak_or_of_another_type_proves_nobody",
        ),
    ),
    "T4": Row("401, nothing fetched", (_of(_TOKENS, *(f"T4 {one} of the attacker" for one in ("jwk", "jku", "x5u", "x5c"))),)),
    "T5": Row("401", (_of(_TOKENS, "T5 crit unknown", "T5 crit b64", "T5 crit empty"),)),
    "T6": Row("401", (_of(_TOKENS, "T6 key of another identity", "T6 own key, own kid, the victim's name", "T6 kid that fits"),)),
    "T8": Row(
        "401, nothing fetched",
        (
            "attacks/test_tokens.py::test_t8_a_name_that_is_more_than_a_name_makes_us_fetch_nothing",
            _of(_TOKENS, "T6 kid that fits the victim as a pattern"),
        ),
    ),
    "T10": Row(
        "401",
        (
            "attacks/test_tokens.py::test_t10_a_key_for_something_else_signs_no_messages",
            _MORE + "test_t10_keys_sign_what_they_are_declared_for",
            _of(_DOCUMENTS, "T10 a relationship with a method that is not there"),
        ),
    ),
    "T11": Row(
        "401",
        (_of(_DOCUMENTS, "T11 of another", "T11 another controls the key", "T11 the same method twice", "T11 a private key"),),
    ),
    "T12": Row(
        "401 / accept", ("attacks/test_tokens.py::test_t12_without_a_name_a_key_counts_only_when_it_is_the_only_one",)
    ),
    "T13": Row("401", (_of(_TOKENS, *(f"T13 no {one}" for one in ("exp", "iat", "jti", "aud", "iss", "sub"))),)),
    "T14": Row(
        "401",
        (
            _of(
                _TOKENS, "T14 exp '9999999999'", "T14 exp 9999999999.5", "T14 exp NaN", "T14 exp 1e400", "T14 exp of 400",
                "T14 exp -1", "T14 iat in the future", "T14 iat of yesterday", "T14 nbf in the future", "T14 good for too long",
            ),
        ),
    ),
    "T15": Row("401", (_of(_TOKENS, "T15 us and another", "T15 a beginning of us", "T15 more than us", "T15 our address"),)),
    "T16": Row(
        "exactly one accepted",
        (
            *_alone(
                "attacks/test_tokens.py::",
                "test_t16_a_token_counts_once",
                "test_t16_of_fifty_copies_at_once_one_is_accepted",
                "test_t16_a_token_counts_once_across_a_restart",
            ),
            "attacks/test_replicas.py::test_t16_a_token_counts_once_on_all_replicas_together",
        ),
    ),
    "T17": Row("accept", ("attacks/test_tokens.py::test_t17_one_issuers_names_say_nothing_of_anothers",)),
    "T20": Row(
        "401",
        (
            _of(_TOKENS, "T20 a presentation", "T20 a credential", "T20 an access token", "T20 an OAuth2 access token"),
            _of(_SHOWN, "T24 a self-issued token", "T24 a bare credential"),
            "attacks/test_tokens.py::test_t20_a_token_to_a_connector_opens_no_operator_api",
        ),
    ),
    "T21": Row("401", (_of(_TOKENS, "T21 for another participant of the same node", "T15 us and another"),)),
    "T22": Row("401", ("attacks/test_tokens.py::test_t22_and_t23_an_access_token_is_its_receivers_alone_and_for_what_it_says",)),
    "T23": Row(
        "401 / 401 / subset",
        (
            "attacks/test_tokens.py::test_t22_and_t23_an_access_token_is_its_receivers_alone_and_for_what_it_says",
            _DOORS + "test_t22_and_t23_an_access_token_opens_the_wallet_once_for_its_receiver_and_no_wider",
            *_alone("identity/test_holder.py::", "test_both_tokens_are_used_once", "test_nobody_sees_more_than_was_granted"),
        ),
    ),
    "T24": Row(
        "401 (403 there), uniform",
        (_of(_SHOWN, "T24 of another holder", "T24 for another verifier", "T24 for nobody", "T24 over", "T24 in our name"),),
    ),
    "T25": Row(
        "401 (403 there), uniform",
        (_of(_SHOWN, "T25 iss differs", "T25 of oneself with the issuer's kid", "T25 model 2.0, own key"),),
    ),
    "T26": Row(
        "401 (403 there), uniform", (_of(_SHOWN, "T26 of type 'Member'", "T26 of a further type that the issuer is not"),)
    ),
    "T27": Row("401 (403 there), uniform", (_of(_SHOWN, "T27 about two", "T27 about nobody"),)),
    "T29": Row(
        "401 (403 there), uniform; 503 where it may pass",
        (
            _of(
                _LISTS, "T29 unsigned", "T29 of another issuer", "T29 another purpose", "T29 too short", "T29 over",
            ),
            _of(_SHOWN, "T29 index '131072'", "T29 index '-1'", "T29 index 'x'", "T29 purpose of another list"),
            _MORE + "test_t29_a_list_that_cannot_be_had_at_the_moment_is_a_reason_to_come_again",
        ),
    ),
    "T30": Row(
        "401 (403 there) in bounded time and memory",
        (
            _of(_LISTS, "T30 packed twice", "T30 five megabytes of JSON"),
            *_alone(_MORE, "test_t30_a_bomb_is_refused_in_bounded_memory_and_time"),
            _MORE + "test_t30_a_wallet_that_drips_is_left_within_the_time_limit",
        ),
    ),
    "T32": Row(
        "401 (403 there), nothing fetched",
        (_of(_SHOWN, "T32 unknown status", "T32 unknown schema", "T32 schema of an internal host"),),
    ),
    "S1": Row(
        "4xx, nothing connected",
        (
            _of(
                _ADDRESSES + "test_s1_an_identity_on_an_internal_host_is_not_looked_up", "127.0.0.1", "[::1]",
                "[::ffff:127.0.0.1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "[fd00::1]", "0.0.0.0",
                "2130706433", "0x7f000001", "017700000001", "localhost.", "intranet",
            ),
        ),
    ),
    "S2": Row(
        "only the vetted address",
        (
            _of(
                _ADDRESSES + "test_s2_a_name_is_connected_to_where_it_was_judged_to_lead",
                *(f"S2 public, then {one}" for one in ("loopback", "loopback in the other family", "an address of clouds", "private")),
                "S2 public and loopback at once", "S2 loopback, then public",
            ),
            "outbound/test_client.py::test_a_name_that_changes_its_address_gains_nothing",
        ),
    ),
    "S5": Row(
        "400, nothing connected", (_ADDRESSES + "test_s5_an_address_that_a_message_names_is_judged_before_anything_is_stored",)
    ),
    "S7": Row(
        "no amplification",
        _alone(
            _ADDRESSES,
            "test_s7_a_question_to_a_wallet_sets_off_one_look_up_and_no_question_in_return",
            "test_s7_a_message_sets_off_no_more_than_its_proof_needs",
            "test_s7_services_that_lead_elsewhere_are_not_followed",
        ),
    ),
    "S8": Row(
        "bounded, members get through",
        (
            _ADDRESSES + "test_s8_a_flood_of_unknown_senders_is_bounded_and_members_get_through",
            *_alone(
                "identity/test_resolver.py::",
                "test_slow_hosts_keep_out_nobody_whose_host_answers",
                "test_one_host_and_one_sender_have_so_many_places",
                "test_a_failure_is_remembered_shortly",
            ),
            "outbound/test_names.py::test_who_was_found_is_found_while_others_never_are",
        ),
    ),
    "J1": Row(
        "400, nothing fetched",
        (
            _of(_ADDRESSES + "test_j1_a_context_that_is_not_known_is_not_fetched", "imported", "in a list in a list", "within"),
            _ADDRESSES + "test_j1_beside_a_context_that_is_not_known_no_term_of_a_policy_can_be_of_it",
        ),
    ),
    "J3": Row("400 / 413, at once", (_of(_BODIES, "J3 10000 lists", "J3 500000 lists", "J3 a graph", "J3 included"),)),
    "J4": Row("same decision", (_DOORS + "test_j4_one_message_in_several_forms_is_one_message",)),
    "H1": Row(
        "400 / 404, below the base, nothing fetched",
        (
            _of(
                _DATA + "test_h1_no_path_leads_out_of_what_is_published",
                *(f"H1 {one}" for one in ("..", "%2e%2e/", "..%5c", "double %252e", "double ..%255c", "absolute URL", "//host")),
            ),
            *_alone(_DATA, "test_h1_no_other_spelling_of_an_address_is_another_address", "test_h1_a_link_in_a_folder_leads_nowhere"),
        ),
    ),
    "H3": Row(
        "stripped",
        (
            _of(
                _DATA + "test_h3_nothing_of_the_consumer_reaches_the_source_but_its_wish",
                *(f"H3 {one}" for one in ("Connection", "TE", "Upgrade", "Host", "X-Forwarded-For", "Forwarded", "Cookie")),
            ),
            _of(_DATA + "test_h3_nothing_of_the_source_reaches_the_consumer_but_the_data", "H3 Connection", "H3 Set-Cookie"),
            _DATA + "test_h3_what_a_host_header_says_stands_in_no_answer",
        ),
    ),
    "H4": Row(
        "400", (_of(_DOORS + "test_h4_a_request_inside_a_request_is_never_answered", "H4 length and chunks", "H4 two lengths"),)
    ),
    "M1": Row(
        "403 / 404, for each address that the node has",
        (
            _of(
                _TENANTS + "test_m1_no_operator_of_one_participant_reaches_another",
                *(f"M1 {one}" for one in ("path", "node", "keys for another", "ids", "body", "query", "lists")),
            ),
            *_alone(
                _TENANTS,
                "test_m1_every_address_is_of_a_kind_that_is_attacked_here",
                "test_m1_what_opens_one_participant_opens_no_address_of_another",
                "test_m1_a_control_plane_moves_no_flow_of_another",
                "test_m1_at_the_authority_and_in_the_ledger_everybody_acts_for_itself",
            ),
            "house/test_doors.py::test_no_address_of_the_operators_is_left_undescribed",
            "web/test_access.py::test_each_route_needs_its_role_in_its_participant",
            *_alone(
                "scenarios/test_isolation.py::",
                "test_a_process_of_the_neighbour_on_the_same_node_is_404",
                "test_a_token_of_alphas_data_opens_nothing_under_another_name_or_pid",
            ),
        ),
    ),
    "M2": Row(
        "403 at the authority, 401 at connectors, at once",
        (
            _of(_STANDING + "test_m2_who_is_not_active_gets_nothing_anywhere", "SUBMITTED", "VERIFIED", "SUSPENDED", "REVOKED"),
            _OAUTH2 + "test_a_live_token_of_a_suspended_member_holds_no_longer",
            "scenarios/test_authority.py::test_who_joins_gets_the_data_and_who_is_suspended_stops_everywhere_at_once",
        ),
    ),
    "M3": Row("401", (_DOORS + "test_m3_what_opens_one_door_opens_no_other",)),
    "M4": Row(
        "4xx, the subject is who asked", (_STANDING + "test_m4_the_subject_is_who_asked_and_a_request_is_its_senders_alone",)
    ),
    "M5": Row("4xx, nothing stored", (_DOORS + "test_m5_credentials_that_nobody_asked_for_are_not_kept",)),
    "M6": Row(
        "invalid_client / invalid_scope, nothing fetched",
        _alone(
            _STANDING,
            "test_m6_a_client_is_who_signed_its_assertion_once_for_this_provider",
        )
        + _alone(
            _OAUTH2,
            "test_who_does_not_prove_itself_gets_nothing",
            "test_an_assertion_that_is_not_lawful_by_itself_makes_us_fetch_nothing",
            "test_of_fifty_copies_of_an_assertion_one_is_taken",
            "test_a_scope_that_the_client_does_not_have_is_refused",
            "test_a_token_needs_one_active_connector_as_its_target",
        ),
    ),
    "M7": Row(
        "400 / 400 / 400 / 429",
        _alone(
            _DOORS,
            "test_m7_a_program_gets_no_token_beyond_what_it_may_have",
            "test_m7_a_token_to_oneself_is_none",
            "test_m7_guessing_a_secret_is_slowed_down_and_tells_nothing",
        ),
    ),
    "M9": Row(
        "401 / 403 / 410, nothing fetched",
        (
            _of(
                _DATA + "test_m9_a_token_opens_its_own_transfer_while_that_is_open",
                *(f"M9 {act} by the {who}" for act in ("suspended", "terminated") for who in ("provider", "consumer")),
                "M9 before a resume", "M9 before a renewal", "M9 of another agreement about the same data",
                "M9 of another agreement about other data", "M9 under another participant",
            ),
            _of(_DOORS + "test_m9_what_a_key_has_signed_counts_no_more_after_its_rotation", "M9 of the wallet", "M9 of a peer"),
        ),
    ),
    "M10": Row(
        "same answer",
        (
            _DOORS + "test_m10_a_bad_token_reads_the_same_for_every_participant",
            "attacks/test_tokens.py::test_every_refusal_reads_the_same_and_says_nothing_of_the_cause",
        ),
    ),
    "X": Row(
        "no XML parser, nothing fetched",
        (
            "house/test_doors.py::test_nothing_here_parses_xml",
            _of(_DOORS + "test_x_xml_is_read_at_no_door", "X an entity of another host", "X a DTD of another host", "X RDF"),
        ),
    ),
}  # fmt: skip


FIELD = {
    1: Row("the token's form", ("identity/test_tokens.py::test_what_we_issue_is_what_wallets_of_the_field_issue_and_we_accept",)),
    2: Row("Ed25519 is EdDSA", ("test_jose.py::test_ed25519_has_two_names", _EDC + "test_every_self_issued_token_is_proven")),
    3: Row("kid is the full URL", ("identity/test_did.py::test_a_token_names_its_key_by_the_full_url",)),
    4: Row(
        "what a token must have; one without `jti` is refused: DCP 1.0, 4.3.1, asks for it, and no replay could be told",
        (_of(_TOKENS, "T13 no jti"), _EDC + "test_odd_senders_are_judged_as_the_specification_says"),
    ),
    5: Row("an answer may be HTML, its words go to the log", ("identity/test_verifier.py::test_why_a_wallet_refused_us_is_in_our_log",)),
    6: Row("a new token each time", (_EDC + "test_access_tokens_are_opaque_and_travel_unread",)),
    7: Row("an access token is opaque to others", (_EDC + "test_access_tokens_are_opaque_and_travel_unread",)),
    8: Row("and is carried back", (_EDC + "test_access_tokens_are_opaque_and_travel_unread",)),
    9: Row("our wallet is stricter", (_HOLDER + "test_every_refusal_sounds_the_same", _KIT + "test_holder_section_4_tokens_of_verifiers")),
    10: Row("bound by aud and exp", (_EDC + "test_what_is_lax_there_needs_a_rule_here",)),
    11: Row("the token service is asked so", (_EDC + "test_the_recorded_token_service_is_asked_as_their_connector_asks_it",)),
    12: Row("scopes as list and text", (_EDC + "test_every_question_to_a_wallet_is_read_or_refused",)),
    13: Row("errors of OAuth are read", (_EDC + "test_the_recorded_token_service_is_asked_as_their_connector_asks_it",)),
    14: Row("the first service of the type", (_EDC + "test_documents_and_services_are_read_as_they_are_spelled",)),
    15: Row("questions as they spell them", (_EDC + "test_every_question_to_a_wallet_is_read_or_refused",)),
    16: Row("answers with one context", (_EDC + "test_every_answer_of_a_wallet_is_read",)),
    17: Row("aliases and operations", (_EDC + "test_scopes_are_read_in_their_spelling_and_ours",)),
    18: Row("statuses of the wallet", (_KIT + "test_holder_section_5_presentation_queries",)),
    19: Row("errors of any shape", ("identity/test_verifier.py::test_why_a_wallet_refused_us_is_in_our_log",)),
    20: Row("one presentation as a text", (_EDC + "test_every_answer_of_a_wallet_is_read",)),
    21: Row("their presentations", (_EDC + "test_every_presentation_is_proven",)),
    22: Row("one of data model 1.1 holds all", (_EDC + "test_every_presentation_is_proven",)),
    23: Row("the nested form proves nothing", (_EDC + "test_two_data_models_in_one_answer_are_judged_apart",)),
    24: Row("exp, sub and id are checked here", (_of(_SHOWN, "T24 over"), _of(_DOCUMENTS, "T11 of another"))),
    25: Row("their list is our least", (_EDC + "test_what_is_lax_there_needs_a_rule_here",)),
    26: Row("a subject says something", ("identity/authority/test_issuing.py::test_claims_come_from_the_registry_and_fit_the_schema",)),
    27: Row("a credential for each scope", (_KIT + "test_verifier_sections_4_and_5", _of(_SHOWN, "T26 of type 'Member'"))),
    28: Row(
        "documents without relationships",
        ("identity/test_did.py::test_a_document_that_declares_nothing_lets_each_key_count_with_a_warning",),
    ),
    29: Row("we publish them", ("identity/test_did.py::test_what_we_publish_is_what_we_read",)),
    30: Row("null is absent", (_EDC + "test_documents_and_services_are_read_as_they_are_spelled",)),
    31: Row("JsonWebKey2020 with full ids", (_EDC + "test_documents_and_services_are_read_as_they_are_spelled",)),
    32: Row("services by type", ("identity/test_did.py::test_a_service_is_found_by_its_exact_type_and_its_address_is_kept",)),
    33: Row(
        "rotation waits for caches",
        (
            "identity/test_keys.py::test_a_key_is_replaced_when_everybody_has_seen_the_new_one",
            "identity/test_resolver.py::test_a_rotated_key_is_looked_up_anew_but_not_too_often",
        ),
    ),
    34: Row("lists without a signature", ("identity/test_status.py::test_an_unsigned_list_counts_for_an_issuer_that_may_not_sign",)),
    35: Row("the newer entry in the older model", (_EDC + "test_every_presentation_is_proven", _EDC + "test_the_recorded_list_is_read")),
    36: Row("the verifier is the guard", (_of(_LISTS, "T29 revoked"),)),
    37: Row("no more questions than needed", (_PROVEN,)),
    38: Row("a catalogue proves nobody", ("identity/test_holder.py::test_a_message_of_ours_is_proven_by_a_verifier_of_ours",)),
    39: Row("refusals in the log", ("attacks/test_tokens.py::test_the_failed_check_is_in_the_log",)),
    40: Row("passing causes are 503", (_MORE + "test_t29_a_list_that_cannot_be_had_at_the_moment_is_a_reason_to_come_again",)),
    41: Row("repeats are acknowledged", ("scenarios/test_repeats.py::",)),
    42: Row("a participant is its DID", (_PROVEN,)),
    43: Row(
        "scopes by kind of message",
        ("identity/test_verifier.py::test_each_kind_of_message_asks_for_its_own_proof_and_each_is_known_by_itself",),
    ),
}  # fmt: skip


@functools.cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((_TESTS / file).read_text())
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


@functools.cache
def _ids(file: str, test: str) -> tuple[str, ...]:
    """The ids of the cases of a parametrised test."""
    module = importlib.import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}")
    marks = [mark for mark in getattr(module, test).pytestmark if mark.name == "parametrize"]
    return tuple(str(one) for mark in marks for one in (mark.kwargs.get("ids") or mark.args[1]))


def _missing(played: str) -> list[str]:
    """What of a reference is not there."""
    place, _, cases = played.partition("[")
    file, _, test = place.partition("::")
    if test and test not in _functions(file):
        return [place]
    wanted = cases.removesuffix("]").split("|") if cases else []
    found = _ids(file, test) if wanted else ()
    return [one for one in wanted if not any(id_.startswith(one) for id_ in found)]


@pytest.mark.parametrize("row", [*ATTACKS, *FIELD])
def test_a_row_is_played(row: str | int) -> None:
    found = ATTACKS[row] if isinstance(row, str) else FIELD[row]
    assert found.says
    assert found.played
    assert [one for played in found.played for one in _missing(played)] == []


def test_no_row_is_left_out() -> None:
    left_out_there = {7, 9, 18, 19, 28, 31}
    assert [one for one in ATTACKS if one[0] == "T"] == [f"T{n}" for n in range(1, 33) if n not in left_out_there]
    rest = [one for one in ATTACKS if one[0] != "T"]
    assert rest == [
        *("S1", "S2", "S5", "S7", "S8", "J1", "J3", "J4", "H1", "H3", "H4"),
        *(f"M{n}" for n in (*range(1, 8), 9, 10)),
        "X",
    ]
    assert [*FIELD] == [*range(1, 44)]


def test_a_reference_to_nothing_is_seen() -> None:
    assert _missing("attacks/test_tokens.py::test_nothing") == ["attacks/test_tokens.py::test_nothing"]
    assert _missing(_of(_TOKENS, "T1 alg 'none'", "T99 x")) == ["T99 x"]
