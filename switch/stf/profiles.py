"""Members and groups of action profiles, as BMv2's command line builds them."""

from __future__ import annotations

from collections import Counter

from switch.backend import profiles
from switch.runtime.entries import Group, InvalidEntry, Member, Share
from switch.runtime.pipeline import Pipeline
from switch.stf import names
from switch.stf.statements import ActionGroupCreate, GroupMember, MemberCreate

ProfileStatement = ActionGroupCreate | GroupMember | MemberCreate


class Profiles:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._profiles = {p.instance.name: p for p in profiles.profiles(pipeline.program)}
        self._members: Counter[str] = Counter()
        self._groups: Counter[str] = Counter()

    def execute(self, statement: ProfileStatement) -> None:
        name = names.resolve(statement.profile, self._profiles, "action profile")
        match statement:
            case MemberCreate(call=call):
                actions = self._profiles[name].actions
                action, params = names.bind_to(actions, call, f"action of action profile '{name}'")
                self._pipeline.insert_member(name, Member(self._members[name], action, params))
                self._members[name] += 1
            case ActionGroupCreate():
                self._pipeline.insert_group(name, Group(self._groups[name], ()))
                self._groups[name] += 1
            case GroupMember():
                self._change(name, statement)

    def _change(self, name: str, change: GroupMember) -> None:
        groups = {group.id: group.shares for group in self._pipeline.groups(name)}
        shares = groups.get(change.group, ())
        share = Share(change.member)
        if change.comes:
            shares = (*shares, share)
        elif share in shares:
            shares = tuple(other for other in shares if other != share)
        else:
            raise InvalidEntry(f"member {change.member} is not in group {change.group} of '{name}'")
        self._pipeline.modify_group(name, Group(change.group, shares))
