"""The parts of the official SDK that the tests use. It warns about itself while it is imported and used."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from kiota_abstractions.api_error import APIError
    from kiota_abstractions.authentication import (
        AccessTokenProvider,
        AllowedHostsValidator,
        BaseBearerTokenAuthenticationProvider,
    )
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from kiota_http.kiota_client_factory import KiotaClientFactory
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph.generated.models.column_definition import ColumnDefinition
    from msgraph.generated.models.field_value_set import FieldValueSet
    from msgraph.generated.models.list_ import List_
    from msgraph.generated.models.list_info import ListInfo
    from msgraph.generated.models.list_item import ListItem
    from msgraph.generated.models.number_column import NumberColumn
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError
    from msgraph.generated.models.text_column import TextColumn
    from msgraph.generated.sites.item.lists.item.items.items_request_builder import ItemsRequestBuilder
    from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
    from msgraph_core.requests.batch_request_content import BatchRequestContent
    from msgraph_core.requests.batch_request_item import BatchRequestItem

__all__ = [
    "APIError",
    "AccessTokenProvider",
    "AllowedHostsValidator",
    "BaseBearerTokenAuthenticationProvider",
    "BatchRequestBuilder",
    "BatchRequestContent",
    "BatchRequestItem",
    "ColumnDefinition",
    "FieldValueSet",
    "GraphRequestAdapter",
    "GraphServiceClient",
    "ItemsRequestBuilder",
    "KiotaClientFactory",
    "ListInfo",
    "ListItem",
    "List_",
    "NumberColumn",
    "ODataError",
    "RequestConfiguration",
    "TextColumn",
]
