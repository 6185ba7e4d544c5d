"""Members and groups of action profiles, and one-shot groups (P4Runtime spec section 9.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from finsy.proto import p4r

from switch.p4runtime import codec
from switch.p4runtime.cookies import Cookie
from switch.p4runtime.errors import RESOURCE_EXHAUSTED, UNIMPLEMENTED, Refused, invalid
from switch.p4runtime.forwarding import Forwarding, group_of, watched
from switch.p4runtime.replication import check_presence
from switch.p4runtime.schema import ActionProfile, Table
from switch.runtime.entries import Member, OneShot, Target, ToGroup, ToMember, Weighted

DELETE = p4r.Update.DELETE

Undo = Callable[[], None]
ActionSet = p4r.ActionProfileActionSet
Part = p4r.ActionProfileGroup.Member | p4r.ActionProfileAction
"""What has a weight and a watched port."""


class ProfileWriter:
    """Applies updates one by one; each returns how to take it back."""

    def __init__(self, forwarding: Forwarding) -> None:
        self._forwarding = forwarding
        self._pipeline = forwarding.pipeline
        self._schema = forwarding.schema

    def member(self, update: p4r.Update) -> Undo:
        message = update.entity.action_profile_member
        profile = self._schema.profile(message.action_profile_id)
        number = _identifier(message.member_id, f"{profile.what}: a member")
        old = self._pipeline.member(profile.name, number)
        check_presence(update.type, old is not None, f"member {number} of {profile.what}")
        if update.type == DELETE:
            self._pipeline.delete_member(profile.name, number)
            assert old is not None
            return lambda: self._pipeline.insert_member(profile.name, old)
        if not message.HasField("action"):
            raise invalid(f"{profile.what}: member {number} needs an action")
        _check_no_one_shots(self._forwarding, profile)
        member = Member(number, *codec.decode_plain_action(self._schema, message.action))
        if old is None:
            self._pipeline.insert_member(profile.name, member)
            return lambda: self._pipeline.delete_member(profile.name, number)
        self._pipeline.modify_member(profile.name, member)
        return lambda: self._pipeline.modify_member(profile.name, old)

    def group(self, update: p4r.Update) -> Undo:
        message = update.entity.action_profile_group
        profile = self._schema.profile(message.action_profile_id)
        _check_selector(profile)
        number = _identifier(message.group_id, f"{profile.what}: a group")
        key = (profile.id, number)
        groups = self._forwarding.action_groups
        old = groups.get(key)
        check_presence(update.type, old is not None, f"group {number} of {profile.what}")
        if update.type == DELETE:
            assert old is not None
            self._pipeline.delete_group(profile.name, number)
            del groups[key]

            def put_back() -> None:
                self._pipeline.insert_group(profile.name, group_of(old))
                groups[key] = old

            return put_back
        _check_no_one_shots(self._forwarding, profile)
        kept = self._checked_group(profile, message, old)
        if old is None:
            self._pipeline.insert_group(profile.name, group_of(kept))
        else:
            self._pipeline.modify_group(profile.name, group_of(kept))
        groups[key] = kept

        def take_back() -> None:
            if old is None:
                self._pipeline.delete_group(profile.name, number)
                del groups[key]
            else:
                self._pipeline.modify_group(profile.name, group_of(old))
                groups[key] = old

        return take_back

    def _checked_group(
        self,
        profile: ActionProfile,
        message: p4r.ActionProfileGroup,
        old: p4r.ActionProfileGroup | None,
    ) -> p4r.ActionProfileGroup:
        what = f"{profile.what}: group {message.group_id}"
        if old is not None and message.max_size != old.max_size:
            raise invalid(f"{what} keeps its max_size of {old.max_size}")
        _check_max_size(profile, message.max_size, what)
        ids = [member.member_id for member in message.members]
        if len(set(ids)) < len(ids):
            raise invalid(f"{what} names a member twice; use its weight")
        kept = p4r.ActionProfileGroup()
        kept.CopyFrom(message)
        for member in kept.members:
            _check_part(self._forwarding, profile, member, f"{what}, member {member.member_id}")
        size = _size(profile, kept.members)
        if 0 < message.max_size < size:
            raise Refused(
                RESOURCE_EXHAUSTED, f"{what} counts as {size}, its max_size is {message.max_size}"
            )
        return kept


def _identifier(number: int, what: str) -> int:
    if number == 0:
        raise invalid(f"{what} has an id other than 0")
    return number


def _check_selector(profile: ActionProfile) -> None:
    if not profile.with_selector:
        raise invalid(f"{profile.what} has no selector: there are no groups, only members")


def _check_max_size(profile: ActionProfile, size: int, what: str) -> None:
    """The rules on setting max_size (spec 9.2.2)."""
    if size < 0:
        raise invalid(f"{what}: max_size is negative")
    if profile.max_group_size and not 0 < size <= profile.max_group_size:
        raise invalid(f"{what}: max_size is {size}, not within 1..{profile.max_group_size}")
    if size > profile.size:
        raise Refused(RESOURCE_EXHAUSTED, f"{what}: {profile.what} has room for {profile.size}")


def _check_part(forwarding: Forwarding, profile: ActionProfile, part: Part, what: str) -> None:
    """Its weight and port; the port becomes canonical."""
    if profile.weights_disallowed:
        if part.weight:
            raise invalid(f"{what}: weights are not the controller's to set")
    elif part.weight <= 0:
        raise invalid(f"{what}: a weight is above 0, not {part.weight}")
    elif profile.max_member_weight and part.weight > profile.max_member_weight:
        raise invalid(f"{what}: weight {part.weight} is over {profile.max_member_weight}")
    port = watched(part)
    if port is not None and port not in forwarding.ports:
        raise invalid(f"{what}: the switch has no port {port} to watch")
    if part.watch_port:
        part.watch_port = codec.encode(port or 0)


def _size(profile: ActionProfile, parts: Sequence[Part]) -> int:
    """What a group counts as."""
    return sum(part.weight or 1 for part in parts) if profile.by_weight else len(parts)


# --- the two styles of programming --------------------------------------------------------------


def _check_no_one_shots(forwarding: Forwarding, profile: ActionProfile) -> None:
    if forwarding.pipeline.profile_usage(profile.name).one_shots:
        raise invalid(
            f"{profile.what}: entries are programmed with one-shots; delete them before members "
            "and groups are used"
        )


def _check_only_one_shots(forwarding: Forwarding, profile: ActionProfile) -> None:
    usage = forwarding.pipeline.profile_usage(profile.name)
    if usage.members or usage.groups:
        raise invalid(
            f"{profile.what}: there are members and groups; delete them before one-shots are used"
        )


# --- what table entries refer to ----------------------------------------------------------------


def decode_target(forwarding: Forwarding, table: Table, message: p4r.TableAction) -> Target:
    """Spec 9.1.2 and 9.2.3."""
    profile = forwarding.schema.profile(table.implementation_id)
    kind = message.WhichOneof("type")
    match kind:
        case "action_profile_member_id":
            _check_no_one_shots(forwarding, profile)
            return ToMember(message.action_profile_member_id)
        case "action_profile_group_id":
            _check_selector(profile)
            _check_no_one_shots(forwarding, profile)
            return ToGroup(message.action_profile_group_id)
        case "action_profile_action_set":
            _check_selector(profile)
            _check_only_one_shots(forwarding, profile)
            return _one_shot(forwarding, table, profile, message.action_profile_action_set)
    selector = ", a group or an action set" if profile.with_selector else ""
    raise invalid(f"{table.what} takes a member{selector}, not {kind or 'an empty action'}")


def _one_shot(
    forwarding: Forwarding, table: Table, profile: ActionProfile, message: ActionSet
) -> OneShot:
    own = ActionSet.SUM_OF_WEIGHTS if profile.by_weight else ActionSet.SUM_OF_MEMBERS
    if message.action_selection_mode not in (
        ActionSet.DEFAULT_MODE_DETERMINED_BY_ACTION_SELECTOR,
        ActionSet.HASH,
    ) or message.size_semantics not in (ActionSet.DEFAULT_SIZE_DETERMINED_BY_ACTION_SELECTOR, own):
        raise Refused(
            UNIMPLEMENTED, f"{table.what}: groups choose and count as {profile.what} says"
        )
    actions = []
    for position, given in enumerate(message.action_profile_actions):
        action = p4r.TableAction(action=given.action)
        name, params = codec.decode_action(forwarding.schema, table, action)
        part = p4r.ActionProfileAction()
        part.CopyFrom(given)
        _check_part(forwarding, profile, part, f"{table.what}: action {position} of the set")
        actions.append(Weighted(name, params, part.weight or 1, watched(part)))
    size = _size(profile, message.action_profile_actions)
    if 0 < profile.max_group_size < size:
        raise invalid(
            f"{table.what}: the action set counts as {size}, {profile.what} allows "
            f"{profile.max_group_size}"
        )
    return OneShot(tuple(actions))


def encode_target(
    forwarding: Forwarding, table: Table, target: Target, cookie: Cookie, message: p4r.TableAction
) -> None:
    """As the controller gave it."""
    match target:
        case ToMember(id=number):
            message.action_profile_member_id = number
        case ToGroup(id=number):
            message.action_profile_group_id = number
        case OneShot(actions=actions):
            profile = forwarding.schema.profile(table.implementation_id)
            found = message.action_profile_action_set
            found.SetInParent()
            mode, semantics = cookie.one_shot
            found.action_selection_mode = mode  # type: ignore[assignment]
            found.size_semantics = semantics  # type: ignore[assignment]
            for each in actions:
                part = found.action_profile_actions.add()
                codec.encode_plain_action(forwarding.schema, each.action, each.params, part.action)
                part.weight = 0 if profile.weights_disallowed else each.weight
                if each.watch_port is not None:
                    part.watch_port = codec.encode(each.watch_port)


# --- reading ------------------------------------------------------------------------------------


def _profiles(forwarding: Forwarding, number: int) -> list[ActionProfile]:
    """One, or all."""
    schema = forwarding.schema
    return [schema.profile(number)] if number else list(schema.profiles.values())


def read_members(forwarding: Forwarding, request: p4r.Entity) -> Iterator[p4r.Entity]:
    wanted = request.action_profile_member
    for profile in _profiles(forwarding, wanted.action_profile_id):
        if wanted.action_profile_id and wanted.member_id:
            one = forwarding.pipeline.member(profile.name, wanted.member_id)
            members = [one] if one else []
        else:
            members = forwarding.pipeline.members(profile.name)
        for member in members:
            entity = p4r.Entity()
            message = entity.action_profile_member
            message.action_profile_id, message.member_id = profile.id, member.id
            codec.encode_plain_action(
                forwarding.schema, member.action, member.params, message.action
            )
            yield entity


def read_groups(forwarding: Forwarding, request: p4r.Entity) -> Iterator[p4r.Entity]:
    wanted = request.action_profile_group
    if wanted.action_profile_id:
        _check_selector(forwarding.schema.profile(wanted.action_profile_id))
    for (profile, number), group in forwarding.action_groups.items():
        if wanted.action_profile_id and (
            profile != wanted.action_profile_id or wanted.group_id not in (0, number)
        ):
            continue
        yield p4r.Entity(action_profile_group=group)
