"""The words of sentences about decisions, in English, German and Chinese.

What is said, and how much of it, is decided in `explain`. Values and identifiers stay as they are written;
terms have the texts that vocabularies give them, outside English, whose words the terms themselves are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from connector.odrl.truth import Code


class Language(StrEnum):
    """The languages that sentences come in (BCP 47)."""

    EN = "en"
    DE = "de"
    ZH = "zh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """How one language says it. Names in braces are filled in."""

    language: Language
    quoted: str
    # a name that is several words
    permitted: str
    until: str
    later: str
    theirs: str
    legal: str
    refused: str
    void: str
    because: str
    more: str
    comma: str
    semicolon: str
    colon: str
    value: str
    # what the left operand is, after what it has to be
    operators: Mapping[str, str]
    reasons: Mapping[Code, str]


_EN = Phrases(
    language=Language.EN,
    quoted="“{text}”",
    permitted="permitted",
    until=" until {when}",
    later="; judged later: {names}",
    theirs="; judged by the other side: {names}",
    legal="; agreed but not technically enforced: {names}",
    refused="refused",
    void="the policy is void",
    because="{verb}: {causes}",
    more="; and {rest} more",
    comma=", ",
    semicolon="; ",
    colon="{left}: {right}",
    value="{asked}, and is {value}",
    operators={
        "eq": "{left} has to be {right}",
        "neq": "{left} has not to be {right}",
        "lt": "{left} has to be before or below {right}",
        "lteq": "{left} has to be at most {right}",
        "gt": "{left} has to be after or above {right}",
        "gteq": "{left} has to be at least {right}",
        "isA": "{left} has to be a kind of {right}",
        "isAnyOf": "{left} has to be one of {right}",
        "isAllOf": "{left} has to be all of {right}",
        "isNoneOf": "{left} has to be none of {right}",
        "isPartOf": "{left} has to be within {right}",
        "hasPart": "{left} has to contain {right}",
    },
    reasons={
        Code.UNSATISFIED: "a condition is not met",
        Code.PROHIBITED: "a prohibition applies",
        Code.CONFLICT: "the rules of the policy contradict each other",
        Code.NOT_PERMITTED: "no rule permits it",
        Code.ACTION_DIFFERS: "the action is not covered",
        Code.TARGET_DIFFERS: "the target is another one",
        Code.PARTY_DIFFERS: "the party is another one",
        Code.DUTY_OPEN: "a duty is not fulfilled",
        Code.DUTY_VIOLATED: "a duty is violated",
        Code.GRANTS_NOTHING: "there is no agreement",
        Code.REPLACED: "the policy is replaced by another one",
        Code.PROFILE_UNKNOWN: "the profile is unknown",
        Code.PROPERTY_UNKNOWN: "a property is unknown",
        Code.ACTION_UNKNOWN: "the action is unknown",
        Code.OPERAND_UNKNOWN: "a left operand is unknown",
        Code.OPERATOR_NOT_ALLOWED: "an operator does not fit its operand",
        Code.VALUE_TYPE: "a value does not fit its operand",
        Code.UNIT_MISMATCH: "a unit does not fit its operand",
        Code.VALUE_MISSING: "a value is not known",
        Code.SOURCE_UNAVAILABLE: "a value cannot be looked up",
        Code.REFERENCE_UNRESOLVABLE: "a reference cannot be resolved",
        Code.STATE_MISSING: "a record of past use is missing",
        Code.CYCLE: "the policy refers to itself",
    },
)
_DE = Phrases(
    language=Language.DE,
    quoted="„{text}“",
    permitted="erlaubt",
    until=" bis {when}",
    later="; später geprüft: {names}",
    theirs="; von der anderen Seite geprüft: {names}",
    legal="; vereinbart, aber technisch nicht durchgesetzt: {names}",
    refused="abgelehnt",
    void="die Policy ist unwirksam",
    because="{verb}: {causes}",
    more="; und {rest} weitere",
    comma=", ",
    semicolon="; ",
    colon="{left}: {right}",
    value="{asked}, ist aber {value}",
    operators={
        "eq": "{left} muss {right} sein",
        "neq": "{left} darf nicht {right} sein",
        "lt": "{left} muss vor oder unter {right} liegen",
        "lteq": "{left} darf höchstens {right} sein",
        "gt": "{left} muss nach oder über {right} liegen",
        "gteq": "{left} muss mindestens {right} sein",
        "isA": "{left} muss eine Art von {right} sein",
        "isAnyOf": "{left} muss eines von {right} sein",
        "isAllOf": "{left} muss alles von {right} sein",
        "isNoneOf": "{left} darf keines von {right} sein",
        "isPartOf": "{left} muss in {right} liegen",
        "hasPart": "{left} muss {right} enthalten",
    },
    reasons={
        Code.UNSATISFIED: "eine Bedingung ist nicht erfüllt",
        Code.PROHIBITED: "ein Verbot greift",
        Code.CONFLICT: "die Regeln der Policy widersprechen einander",
        Code.NOT_PERMITTED: "keine Regel erlaubt es",
        Code.ACTION_DIFFERS: "die Handlung ist nicht gedeckt",
        Code.TARGET_DIFFERS: "es geht um ein anderes Datenangebot",
        Code.PARTY_DIFFERS: "die Regel gilt für andere",
        Code.DUTY_OPEN: "eine Pflicht ist nicht erfüllt",
        Code.DUTY_VIOLATED: "eine Pflicht ist verletzt",
        Code.GRANTS_NOTHING: "es gibt keine Vereinbarung",
        Code.REPLACED: "die Policy ist durch eine andere ersetzt",
        Code.PROFILE_UNKNOWN: "das Profil ist unbekannt",
        Code.PROPERTY_UNKNOWN: "eine Eigenschaft ist unbekannt",
        Code.ACTION_UNKNOWN: "die Handlung ist unbekannt",
        Code.OPERAND_UNKNOWN: "ein linker Operand ist unbekannt",
        Code.OPERATOR_NOT_ALLOWED: "ein Operator passt nicht zu seinem Operanden",
        Code.VALUE_TYPE: "ein Wert passt nicht zu seinem Operanden",
        Code.UNIT_MISMATCH: "eine Einheit passt nicht zu ihrem Operanden",
        Code.VALUE_MISSING: "ein Wert ist nicht bekannt",
        Code.SOURCE_UNAVAILABLE: "ein Wert kann nicht nachgeschlagen werden",
        Code.REFERENCE_UNRESOLVABLE: "ein Verweis kann nicht aufgelöst werden",
        Code.STATE_MISSING: "eine Aufzeichnung der bisherigen Nutzung fehlt",
        Code.CYCLE: "die Policy verweist auf sich selbst",
    },
)
_ZH = Phrases(
    language=Language.ZH,
    quoted="“{text}”",
    permitted="允许",
    until="，有效至 {when}",
    later="；稍后判定：{names}",
    theirs="；由对方判定：{names}",
    legal="；已约定但不由技术强制执行：{names}",
    refused="拒绝",
    void="该策略无效",
    because="{verb}：{causes}",
    more="；另有 {rest} 项",
    comma="、",
    semicolon="；",
    colon="{left}：{right}",
    value="{asked}，实际为 {value}",
    operators={
        "eq": "{left} 须为 {right}",
        "neq": "{left} 不得为 {right}",
        "lt": "{left} 须早于或小于 {right}",
        "lteq": "{left} 不得超过 {right}",
        "gt": "{left} 须晚于或大于 {right}",
        "gteq": "{left} 不得低于 {right}",
        "isA": "{left} 须属于 {right} 类",
        "isAnyOf": "{left} 须为 {right} 之一",
        "isAllOf": "{left} 须包括全部 {right}",
        "isNoneOf": "{left} 不得为 {right} 中任何一个",
        "isPartOf": "{left} 须在 {right} 之内",
        "hasPart": "{left} 须包含 {right}",
    },
    reasons={
        Code.UNSATISFIED: "条件未满足",
        Code.PROHIBITED: "存在适用的禁止规则",
        Code.CONFLICT: "策略中的规则相互冲突",
        Code.NOT_PERMITTED: "没有允许此操作的规则",
        Code.ACTION_DIFFERS: "该操作不在许可范围内",
        Code.TARGET_DIFFERS: "目标资源不符",
        Code.PARTY_DIFFERS: "主体不符",
        Code.DUTY_OPEN: "义务尚未履行",
        Code.DUTY_VIOLATED: "义务已被违反",
        Code.GRANTS_NOTHING: "尚未达成协议",
        Code.REPLACED: "该策略已被其他策略取代",
        Code.PROFILE_UNKNOWN: "未知的配置文件",
        Code.PROPERTY_UNKNOWN: "未知的属性",
        Code.ACTION_UNKNOWN: "未知的操作",
        Code.OPERAND_UNKNOWN: "未知的左操作数",
        Code.OPERATOR_NOT_ALLOWED: "运算符不适用于该操作数",
        Code.VALUE_TYPE: "值的类型不符",
        Code.UNIT_MISMATCH: "单位不符",
        Code.VALUE_MISSING: "缺少所需的值",
        Code.SOURCE_UNAVAILABLE: "无法查询所需的值",
        Code.REFERENCE_UNRESOLVABLE: "引用无法解析",
        Code.STATE_MISSING: "缺少使用记录",
        Code.CYCLE: "策略引用了自身",
    },
)
PHRASES: Mapping[Language, Phrases] = {Language.EN: _EN, Language.DE: _DE, Language.ZH: _ZH}
