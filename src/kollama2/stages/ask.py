"""Ask: the generation half of a suite, answered by a model behind an endpoint."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr

from kollama2.engine.stage import Stage, Work
from kollama2.evaluation.endpoint import KEY
from kollama2.evaluation.suite import Suite
from kollama2.stages.source import Source, contents


class Ask(Stage):
    """The answers of a model that is only reachable by its API.

    Attributes:
        url: the address up to `/v1`.
        model: the name that the endpoint knows the model by.
        temperature: None leaves it out.
        suite: its tasks that are answered in chat are asked; its `data` are uris.
        data: the source of each uri of the suite.
    """

    kind: Literal["ask"] = "ask"
    url: str
    model: str
    temperature: float | None = 0.0
    suite: Suite
    data: dict[str, Source]

    version: ClassVar[int] = 3
    # It waits for somebody else's machine and needs no worker.
    inline: ClassVar[bool] = True
    _key_variable: str = PrivateAttr(default=KEY)

    def with_key(self, variable: str) -> "Ask":
        """The same stage, knowing which environment variable holds the key."""
        self._key_variable = variable
        return self

    def run(self, work: Work) -> Mapping[str, Any]:
        """Ask what was not answered yet; measure all answers."""
        from kollama2.evaluation.endpoint import Endpoint
        from kollama2.evaluation.remote import answer_suite

        places = contents(work, self.data)
        suite = self.suite.resolved(places.__getitem__)
        with Endpoint(
            self.url,
            self.model,
            key_variable=self._key_variable,
            temperature=self.temperature,
        ) as endpoint:
            return answer_suite(suite, endpoint, work.out, work.progress)
