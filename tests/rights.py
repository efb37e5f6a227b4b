"""Rights for those as whom tests call that are about something else: who may do what, tests of their own say."""

from __future__ import annotations

from google.iam.v1 import policy_pb2
from google.type import expr_pb2

from emulator.world import World

_ALWAYS = expr_pb2.Expr(title="for tests", expression="true")
"""A condition keeps the grant apart from those that the tests look at."""


def everything_to(world: World, *members: str) -> policy_pb2.Binding:
    """A grant of all there is in the project, to the deployer and other members."""
    deployer = f"serviceAccount:{world.iam.deployer}"
    return policy_pb2.Binding(role="roles/owner", members=[deployer, *members], condition=_ALWAYS)


def let(world: World, *members: str) -> None:
    """Let the deployer and these members do everything."""
    policy = world.policies.get(world.projects.name)
    policy.bindings.append(everything_to(world, *members))
    world.policies.seed(world.projects.name, policy)
