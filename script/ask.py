"""Asks an Octue service one question, as anyone does who uses Octue's SDK, and prints the answer as JSON.

Run by the demo and the tests in an environment with the SDK, with PUBSUB_EMULATOR_HOST set.
"""

import json
import sys

from octue.resources import Child


def main(service_id: str, project: str, question: str) -> None:
    """Ask and print.

    :param service_id: the service's UUID.
    :param project: id of the Google Cloud project.
    :param question: the input values, as JSON.
    """
    child = Child(id=service_id, backend={"name": "GCPPubSubBackend", "project_name": project})
    answer = child.ask(input_values=json.loads(question), timeout=60)
    print(json.dumps(answer["output_values"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
