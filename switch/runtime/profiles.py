"""The action profiles of a running program: members and groups."""

from __future__ import annotations

from switch.runtime import native
from switch.runtime.entries import (
    EntryExists,
    Group,
    InUse,
    InvalidEntry,
    Member,
    NoSuchEntry,
    ProfileUsage,
    Share,
    TableFull,
)
from switch.runtime.objects import Profile, look_up, port_of
from switch.runtime.running import Running


class Profiles(Running):
    """Ids are the caller's; those of members and of groups are apart."""

    def _profile(self, name: str) -> Profile:
        return look_up(self._objects.profiles, name, "action profile")

    @staticmethod
    def _check_status(status: int, profile: Profile, what: str) -> None:
        where = f"action profile '{profile.name}'"
        if status == native.EXISTS:
            raise EntryExists(f"{where} already has a {what}")
        if status == native.NO_ENTRY:
            raise NoSuchEntry(f"{where} has no {what}")
        if status == native.NO_TARGET:
            raise NoSuchEntry(f"{where}: a member of the {what} does not exist")
        if status == native.FULL:
            raise TableFull(f"{where} has room for {profile.size} members")
        if status == native.NO_ROOM:
            raise TableFull(f"{where}: with this {what}, its groups go beyond {profile.size}")
        if status == native.IN_USE:
            raise InUse(f"{where}: entries or groups refer to {what}")
        if status == native.NO_MEMORY:
            raise MemoryError(f"no memory for a {what} of {where}")

    def _set_member(self, profile: str, member: Member, *, insert: bool) -> None:
        p = self._profile(profile)
        action, data = p.action(member.action, member.params)
        status = self._library.p4s_member_set(
            self.handle, p.number, p.check_id(member.id), action, native.words(data), insert
        )
        self._check_status(status, p, f"member {member.id}")

    def insert_member(self, profile: str, member: Member) -> None:
        """Raises EntryExists, TableFull, InvalidEntry, UnknownName."""
        self._set_member(profile, member, insert=True)

    def modify_member(self, profile: str, member: Member) -> None:
        """All entries and groups that refer to it do this from now on. Raises NoSuchEntry, …"""
        self._set_member(profile, member, insert=False)

    def delete_member(self, profile: str, member: int) -> None:
        """Raises NoSuchEntry, InUse."""
        p = self._profile(profile)
        status = self._library.p4s_member_delete(self.handle, p.number, p.check_id(member))
        self._check_status(status, p, f"member {member}")

    def members(self, profile: str) -> list[Member]:
        p = self._profile(profile)

        def read(data: native.Words, room: int) -> int:
            words: int = self._library.p4s_members_read(self.handle, p.number, data, room)
            return words

        words, size = native.read(read), 2 + p.data_words
        rows = (words[at : at + size] for at in range(0, len(words), size))
        return [Member(row[0], *p.bound_action(row[1], row[2:])) for row in rows]

    def member(self, profile: str, member: int) -> Member | None:
        p = self._profile(profile)
        words = native.words([0] * (1 + p.data_words))
        if not self._library.p4s_member_get(self.handle, p.number, p.check_id(member), words):
            return None
        return Member(member, *p.bound_action(words[0], words[1 : 1 + p.data_words]))

    def _set_group(self, profile: str, group: Group, *, insert: bool) -> None:
        p = self._profile(profile)
        p.check_selector()
        if len({share.member for share in group.shares}) < len(group.shares):
            raise InvalidEntry(
                f"action profile '{profile}': group {group.id} names a member twice; use weights"
            )
        shares = [(p.check_id(s.member), *p.watch(s.weight, s.watch_port)) for s in group.shares]
        status = self._library.p4s_group_set(
            self.handle,
            p.number,
            p.check_id(group.id),
            native.shares(shares),
            len(shares),
            insert,
        )
        self._check_status(status, p, f"group {group.id}")

    def insert_group(self, profile: str, group: Group) -> None:
        """Raises EntryExists, NoSuchEntry for its members, TableFull, InvalidEntry, UnknownName."""
        self._set_group(profile, group, insert=True)

    def modify_group(self, profile: str, group: Group) -> None:
        """Replace all members at once: no packet sees a part. Raises NoSuchEntry, TableFull, …"""
        self._set_group(profile, group, insert=False)

    def delete_group(self, profile: str, group: int) -> None:
        """Raises NoSuchEntry, InUse."""
        p = self._profile(profile)
        status = self._library.p4s_group_delete(self.handle, p.number, p.check_id(group))
        self._check_status(status, p, f"group {group}")

    def groups(self, profile: str) -> list[Group]:
        p = self._profile(profile)

        def read(data: native.Words, room: int) -> int:
            words: int = self._library.p4s_groups_read(self.handle, p.number, data, room)
            return words

        words = iter(native.read(read))
        found = []
        for number in words:
            shares = [
                Share(next(words), next(words), port_of(next(words))) for _ in range(next(words))
            ]
            found.append(Group(number, tuple(shares)))
        return found

    def profile_usage(self, profile: str) -> ProfileUsage:
        counts = native.words((0, 0, 0))
        self._library.p4s_profile_counts(self.handle, self._profile(profile).number, counts)
        return ProfileUsage(*counts)

    def set_port(self, port: int, *, up: bool) -> None:
        """Tell whether a port is up: groups do not choose what watches one that is down."""
        self._check_port(port)
        self._library.p4s_port_set(self.handle, port, up)
