"""The services `enable`, `repeat`, `set_adapter` and `list_adapters`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from std_srvs.srv import SetBool, Trigger

from nav_vlm_msgs.srv import ListAdapters, SetAdapter
from nav_vlm_node.errors import UserError
from nav_vlm_node.replies import NOTHING_TO_REPEAT
from nav_vlm_node.ros.futures import awaitable
from nav_vlm_node.vlm.protocol import EngineError

if TYPE_CHECKING:
    from nav_vlm_node.ros.node import GuideNode


class Services:
    """None of them waits on the executor: switching an adapter is done by the worker, after the answer in progress."""

    def __init__(self, node: GuideNode) -> None:
        self._node = node
        node.create_service(SetBool, "enable", self._enable, callback_group=node.group)
        node.create_service(Trigger, "repeat", self._repeat, callback_group=node.group)
        # Its own group: it waits for the worker, and the quick ones must not wait for it.
        node.create_service(SetAdapter, "set_adapter", self._set_adapter, callback_group=node.waiting_group)
        node.create_service(ListAdapters, "list_adapters", self._list_adapters, callback_group=node.group)

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.message = self._node.enable(request.data)
        response.success = True
        return response

    def _repeat(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        again = self._node.publish_again()
        response.success = again is not None
        response.message = self._node.spoken(NOTHING_TO_REPEAT if again is None else again.text)
        return response

    async def _set_adapter(self, request: SetAdapter.Request, response: SetAdapter.Response) -> SetAdapter.Response:
        guide = self._node.guide
        if guide is None:
            response.message = "no model is loaded; configure the node first"
            return response

        def switch() -> str:
            guide.engine.set_adapter(request.adapter)
            self._node.forget()  # an adapter may change the vision side, and answers otherwise
            return guide.engine.info.adapter

        done = await awaitable(self._node, self._node.worker.submit(switch))
        try:
            response.adapter = done.result()
            response.success = True
        except (UserError, EngineError) as error:
            response.adapter = guide.engine.info.adapter
            response.message = str(error)
        return response

    def _list_adapters(self, request: ListAdapters.Request, response: ListAdapters.Response) -> ListAdapters.Response:
        guide = self._node.guide
        response.success = guide is not None
        if guide is None:
            response.message = "no model is loaded; configure the node first"
            return response
        info = guide.engine.info
        response.model, response.adapter, response.adapters = info.model, info.adapter, list(info.adapters)
        return response
