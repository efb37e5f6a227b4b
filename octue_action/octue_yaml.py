"""Whether octue.yaml is as its schema says. Made by script/schema of octue_action/keys.py: not to be edited.

To import jsonschema, which can say what is wrong, takes a tenth of a run that has nothing to do.
"""


class JsonSchemaValueException(ValueError):
    """The file is not as its schema says."""


class JsonSchemaValuesException(JsonSchemaValueException):
    """The same, for several reasons."""


from decimal import Decimal
import re


REGEX_PATTERNS = {
    '\\n': re.compile('\\n'),
    '^([a-z0-9]+(-[a-z0-9]+)*/)?[a-z0-9]+(-[a-z0-9]+)*$': re.compile('^([a-z0-9]+(-[a-z0-9]+)*/)?[a-z0-9]+(-[a-z0-9]+)*\\Z'),
    '^[a-z0-9]+(-[a-z0-9]+)*$': re.compile('^[a-z0-9]+(-[a-z0-9]+)*\\Z'),
    '^gs://': re.compile('^gs://')
}

NoneType = type(None)

def validate(data, custom_formats={}, name_prefix=None):
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data_keys = set(data.keys())
        if "services" in data_keys:
            data_keys.remove("services")
            data__services = data["services"]
            if not isinstance(data__services, (list, tuple)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".services must be array")
            data__services_is_list = isinstance(data__services, (list, tuple))
            if data__services_is_list:
                data__services_len = len(data__services)
                if data__services_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".services must contain at least 1 items")
                if data__services_len > 100:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".services must contain less than or equal to 100 items")
                for data__services_x, data__services_item in enumerate(data__services):
                    validate___definitions_service(data__services_item, custom_formats, (name_prefix or "data") + ".services[{data__services_x}]".format(**locals()))
    try:
        if not isinstance(data, (dict)):
            raise JsonSchemaValueException("" + (name_prefix or "data") + " must be object")
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['services']) - data.keys()
            if data__missing_keys:
                raise JsonSchemaValueException("" + (name_prefix or "data") + " must contain ")
    except (JsonSchemaValueException, JsonSchemaValuesException):
        validate___definitions_service(data, custom_formats, (name_prefix or "data") + "")
    else:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data_keys = set(data.keys())
            if "services" in data_keys:
                data_keys.remove("services")
                data__services = data["services"]
                pass
            if data_keys:
                raise JsonSchemaValueException("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate___definitions_service(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise JsonSchemaValueException("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['name']) - data.keys()
        if data__missing_keys:
            raise JsonSchemaValueException("" + (name_prefix or "data") + " must contain ")
        data_keys = set(data.keys())
        if "name" in data_keys:
            data_keys.remove("name")
            data__name = data["name"]
            if not isinstance(data__name, (str)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".name must be string")
            try:
                if not isinstance(data__name, (str)):
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".name must be string")
                if isinstance(data__name, str):
                    if not REGEX_PATTERNS['\\n'].search(data__name):
                        raise JsonSchemaValueException("" + (name_prefix or "data") + ".name must match pattern \\n")
            except (JsonSchemaValueException, JsonSchemaValuesException): pass
            else:
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".name must NOT match a disallowed definition")
            if isinstance(data__name, str):
                data__name_len = len(data__name)
                if data__name_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".name must be longer than or equal to 1 characters")
                if data__name_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".name must be shorter than or equal to 1024 characters")
                if not REGEX_PATTERNS['^([a-z0-9]+(-[a-z0-9]+)*/)?[a-z0-9]+(-[a-z0-9]+)*$'].search(data__name):
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".name must match pattern ^([a-z0-9]+(-[a-z0-9]+)*/)?[a-z0-9]+(-[a-z0-9]+)*$")
        if "namespace" in data_keys:
            data_keys.remove("namespace")
            data__namespace = data["namespace"]
            if not isinstance(data__namespace, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".namespace must be string or null")
            try:
                if not isinstance(data__namespace, (str)):
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".namespace must be string")
                if isinstance(data__namespace, str):
                    if not REGEX_PATTERNS['\\n'].search(data__namespace):
                        raise JsonSchemaValueException("" + (name_prefix or "data") + ".namespace must match pattern \\n")
            except (JsonSchemaValueException, JsonSchemaValuesException): pass
            else:
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".namespace must NOT match a disallowed definition")
            if isinstance(data__namespace, str):
                data__namespace_len = len(data__namespace)
                if data__namespace_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".namespace must be longer than or equal to 1 characters")
                if data__namespace_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".namespace must be shorter than or equal to 1024 characters")
                if not REGEX_PATTERNS['^[a-z0-9]+(-[a-z0-9]+)*$'].search(data__namespace):
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".namespace must match pattern ^[a-z0-9]+(-[a-z0-9]+)*$")
        if "organisation" in data_keys:
            data_keys.remove("organisation")
            data__organisation = data["organisation"]
            if not isinstance(data__organisation, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".organisation must be string or null")
            if isinstance(data__organisation, str):
                data__organisation_len = len(data__organisation)
                if data__organisation_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".organisation must be longer than or equal to 1 characters")
                if data__organisation_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".organisation must be shorter than or equal to 1024 characters")
        if "project_name" in data_keys:
            data_keys.remove("project_name")
            data__projectname = data["project_name"]
            if not isinstance(data__projectname, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".project_name must be string or null")
            if isinstance(data__projectname, str):
                data__projectname_len = len(data__projectname)
                if data__projectname_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".project_name must be longer than or equal to 1 characters")
                if data__projectname_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".project_name must be shorter than or equal to 1024 characters")
        if "region" in data_keys:
            data_keys.remove("region")
            data__region = data["region"]
            if not isinstance(data__region, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".region must be string or null")
            if isinstance(data__region, str):
                data__region_len = len(data__region)
                if data__region_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".region must be longer than or equal to 1 characters")
                if data__region_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".region must be shorter than or equal to 1024 characters")
        if "repository_name" in data_keys:
            data_keys.remove("repository_name")
            data__repositoryname = data["repository_name"]
            if not isinstance(data__repositoryname, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".repository_name must be string or null")
            if isinstance(data__repositoryname, str):
                data__repositoryname_len = len(data__repositoryname)
                if data__repositoryname_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".repository_name must be longer than or equal to 1 characters")
                if data__repositoryname_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".repository_name must be shorter than or equal to 1024 characters")
        if "repository_owner" in data_keys:
            data_keys.remove("repository_owner")
            data__repositoryowner = data["repository_owner"]
            if not isinstance(data__repositoryowner, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".repository_owner must be string or null")
            if isinstance(data__repositoryowner, str):
                data__repositoryowner_len = len(data__repositoryowner)
                if data__repositoryowner_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".repository_owner must be longer than or equal to 1 characters")
                if data__repositoryowner_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".repository_owner must be shorter than or equal to 1024 characters")
        if "app_source_path" in data_keys:
            data_keys.remove("app_source_path")
            data__appsourcepath = data["app_source_path"]
            if not isinstance(data__appsourcepath, (str)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".app_source_path must be string")
            if isinstance(data__appsourcepath, str):
                data__appsourcepath_len = len(data__appsourcepath)
                if data__appsourcepath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".app_source_path must be longer than or equal to 1 characters")
                if data__appsourcepath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".app_source_path must be shorter than or equal to 1024 characters")
        if "twine_path" in data_keys:
            data_keys.remove("twine_path")
            data__twinepath = data["twine_path"]
            if not isinstance(data__twinepath, (str)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".twine_path must be string")
            if isinstance(data__twinepath, str):
                data__twinepath_len = len(data__twinepath)
                if data__twinepath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".twine_path must be longer than or equal to 1 characters")
                if data__twinepath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".twine_path must be shorter than or equal to 1024 characters")
        if "app_configuration_path" in data_keys:
            data_keys.remove("app_configuration_path")
            data__appconfigurationpath = data["app_configuration_path"]
            if not isinstance(data__appconfigurationpath, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".app_configuration_path must be string or null")
            if isinstance(data__appconfigurationpath, str):
                data__appconfigurationpath_len = len(data__appconfigurationpath)
                if data__appconfigurationpath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".app_configuration_path must be longer than or equal to 1 characters")
                if data__appconfigurationpath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".app_configuration_path must be shorter than or equal to 1024 characters")
        if "dockerfile_path" in data_keys:
            data_keys.remove("dockerfile_path")
            data__dockerfilepath = data["dockerfile_path"]
            if not isinstance(data__dockerfilepath, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".dockerfile_path must be string or null")
            if isinstance(data__dockerfilepath, str):
                data__dockerfilepath_len = len(data__dockerfilepath)
                if data__dockerfilepath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".dockerfile_path must be longer than or equal to 1 characters")
                if data__dockerfilepath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".dockerfile_path must be shorter than or equal to 1024 characters")
        if "cloud_build_configuration_path" in data_keys:
            data_keys.remove("cloud_build_configuration_path")
            data__cloudbuildconfigurationpath = data["cloud_build_configuration_path"]
            if not isinstance(data__cloudbuildconfigurationpath, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".cloud_build_configuration_path must be string or null")
            if isinstance(data__cloudbuildconfigurationpath, str):
                data__cloudbuildconfigurationpath_len = len(data__cloudbuildconfigurationpath)
                if data__cloudbuildconfigurationpath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".cloud_build_configuration_path must be longer than or equal to 1 characters")
                if data__cloudbuildconfigurationpath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".cloud_build_configuration_path must be shorter than or equal to 1024 characters")
        if "minimum_instances" in data_keys:
            data_keys.remove("minimum_instances")
            data__minimuminstances = data["minimum_instances"]
            if not isinstance(data__minimuminstances, (int)) and not (isinstance(data__minimuminstances, float) and data__minimuminstances.is_integer()) or isinstance(data__minimuminstances, bool):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".minimum_instances must be integer")
            if isinstance(data__minimuminstances, (int, float, Decimal)) and not isinstance(data__minimuminstances, bool):
                if data__minimuminstances < 0:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".minimum_instances must be bigger than or equal to 0")
                if data__minimuminstances > 2147483647:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".minimum_instances must be smaller than or equal to 2147483647")
        if "maximum_instances" in data_keys:
            data_keys.remove("maximum_instances")
            data__maximuminstances = data["maximum_instances"]
            if not isinstance(data__maximuminstances, (int)) and not (isinstance(data__maximuminstances, float) and data__maximuminstances.is_integer()) or isinstance(data__maximuminstances, bool):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".maximum_instances must be integer")
            if isinstance(data__maximuminstances, (int, float, Decimal)) and not isinstance(data__maximuminstances, bool):
                if data__maximuminstances < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".maximum_instances must be bigger than or equal to 1")
                if data__maximuminstances > 2147483647:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".maximum_instances must be smaller than or equal to 2147483647")
        if "concurrency" in data_keys:
            data_keys.remove("concurrency")
            data__concurrency = data["concurrency"]
            if not isinstance(data__concurrency, (int)) and not (isinstance(data__concurrency, float) and data__concurrency.is_integer()) or isinstance(data__concurrency, bool):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".concurrency must be integer")
            if isinstance(data__concurrency, (int, float, Decimal)) and not isinstance(data__concurrency, bool):
                if data__concurrency < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".concurrency must be bigger than or equal to 1")
                if data__concurrency > 1000:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".concurrency must be smaller than or equal to 1000")
        if "memory" in data_keys:
            data_keys.remove("memory")
            data__memory = data["memory"]
            if not isinstance(data__memory, (str)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".memory must be string")
            if isinstance(data__memory, str):
                data__memory_len = len(data__memory)
                if data__memory_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".memory must be longer than or equal to 1 characters")
                if data__memory_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".memory must be shorter than or equal to 1024 characters")
        if "cpus" in data_keys:
            data_keys.remove("cpus")
            data__cpus = data["cpus"]
            if not isinstance(data__cpus, (int, float, Decimal, str)) or isinstance(data__cpus, bool):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".cpus must be number or string")
        if "branch_pattern" in data_keys:
            data_keys.remove("branch_pattern")
            data__branchpattern = data["branch_pattern"]
            if not isinstance(data__branchpattern, (str)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".branch_pattern must be string")
            if isinstance(data__branchpattern, str):
                data__branchpattern_len = len(data__branchpattern)
                if data__branchpattern_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".branch_pattern must be longer than or equal to 1 characters")
                if data__branchpattern_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".branch_pattern must be shorter than or equal to 1024 characters")
        if "environment_variables" in data_keys:
            data_keys.remove("environment_variables")
            data__environmentvariables = data["environment_variables"]
            if not isinstance(data__environmentvariables, (list, tuple, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables must be array or null")
            data__environmentvariables_is_list = isinstance(data__environmentvariables, (list, tuple))
            if data__environmentvariables_is_list:
                data__environmentvariables_len = len(data__environmentvariables)
                for data__environmentvariables_x, data__environmentvariables_item in enumerate(data__environmentvariables):
                    if not isinstance(data__environmentvariables_item, (dict)):
                        raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables[{data__environmentvariables_x}]".format(**locals()) + " must be object")
                    data__environmentvariables_item_is_dict = isinstance(data__environmentvariables_item, dict)
                    if data__environmentvariables_item_is_dict:
                        data__environmentvariables_item__missing_keys = set(['name', 'value']) - data__environmentvariables_item.keys()
                        if data__environmentvariables_item__missing_keys:
                            raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables[{data__environmentvariables_x}]".format(**locals()) + " must contain ")
                        data__environmentvariables_item_keys = set(data__environmentvariables_item.keys())
                        if "name" in data__environmentvariables_item_keys:
                            data__environmentvariables_item_keys.remove("name")
                            data__environmentvariables_item__name = data__environmentvariables_item["name"]
                            if not isinstance(data__environmentvariables_item__name, (str)):
                                raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables[{data__environmentvariables_x}].name".format(**locals()) + " must be string")
                            if isinstance(data__environmentvariables_item__name, str):
                                data__environmentvariables_item__name_len = len(data__environmentvariables_item__name)
                                if data__environmentvariables_item__name_len < 1:
                                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables[{data__environmentvariables_x}].name".format(**locals()) + " must be longer than or equal to 1 characters")
                                if data__environmentvariables_item__name_len > 1024:
                                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables[{data__environmentvariables_x}].name".format(**locals()) + " must be shorter than or equal to 1024 characters")
                        if "value" in data__environmentvariables_item_keys:
                            data__environmentvariables_item_keys.remove("value")
                            data__environmentvariables_item__value = data__environmentvariables_item["value"]
                            if not isinstance(data__environmentvariables_item__value, (str, int, float, Decimal, bool)):
                                raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables[{data__environmentvariables_x}].value".format(**locals()) + " must be string or number or boolean")
                        if data__environmentvariables_item_keys:
                            raise JsonSchemaValueException("" + (name_prefix or "data") + ".environment_variables[{data__environmentvariables_x}]".format(**locals()) + " must not contain "+str(data__environmentvariables_item_keys)+" properties")
        if "secrets" in data_keys:
            data_keys.remove("secrets")
            data__secrets = data["secrets"]
            if not isinstance(data__secrets, (dict, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".secrets must be object or null")
            data__secrets_is_dict = isinstance(data__secrets, dict)
            if data__secrets_is_dict:
                data__secrets_keys = set(data__secrets.keys())
                if "build" in data__secrets_keys:
                    data__secrets_keys.remove("build")
                    data__secrets__build = data__secrets["build"]
                    if not isinstance(data__secrets__build, (list, tuple, NoneType)):
                        raise JsonSchemaValueException("" + (name_prefix or "data") + ".secrets.build must be array or null")
                    data__secrets__build_is_list = isinstance(data__secrets__build, (list, tuple))
                    if data__secrets__build_is_list:
                        data__secrets__build_len = len(data__secrets__build)
                        for data__secrets__build_x, data__secrets__build_item in enumerate(data__secrets__build):
                            if not isinstance(data__secrets__build_item, (str)):
                                raise JsonSchemaValueException("" + (name_prefix or "data") + ".secrets.build[{data__secrets__build_x}]".format(**locals()) + " must be string")
                            if isinstance(data__secrets__build_item, str):
                                data__secrets__build_item_len = len(data__secrets__build_item)
                                if data__secrets__build_item_len < 1:
                                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".secrets.build[{data__secrets__build_x}]".format(**locals()) + " must be longer than or equal to 1 characters")
                                if data__secrets__build_item_len > 1024:
                                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".secrets.build[{data__secrets__build_x}]".format(**locals()) + " must be shorter than or equal to 1024 characters")
                if data__secrets_keys:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".secrets must not contain "+str(data__secrets_keys)+" properties")
        if "crash_diagnostics_cloud_path" in data_keys:
            data_keys.remove("crash_diagnostics_cloud_path")
            data__crashdiagnosticscloudpath = data["crash_diagnostics_cloud_path"]
            if not isinstance(data__crashdiagnosticscloudpath, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".crash_diagnostics_cloud_path must be string or null")
            if isinstance(data__crashdiagnosticscloudpath, str):
                data__crashdiagnosticscloudpath_len = len(data__crashdiagnosticscloudpath)
                if data__crashdiagnosticscloudpath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".crash_diagnostics_cloud_path must be longer than or equal to 1 characters")
                if data__crashdiagnosticscloudpath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".crash_diagnostics_cloud_path must be shorter than or equal to 1024 characters")
                if not REGEX_PATTERNS['^gs://'].search(data__crashdiagnosticscloudpath):
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".crash_diagnostics_cloud_path must match pattern ^gs://")
        if "diagnostics_cloud_path" in data_keys:
            data_keys.remove("diagnostics_cloud_path")
            data__diagnosticscloudpath = data["diagnostics_cloud_path"]
            if not isinstance(data__diagnosticscloudpath, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".diagnostics_cloud_path must be string or null")
            if isinstance(data__diagnosticscloudpath, str):
                data__diagnosticscloudpath_len = len(data__diagnosticscloudpath)
                if data__diagnosticscloudpath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".diagnostics_cloud_path must be longer than or equal to 1 characters")
                if data__diagnosticscloudpath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".diagnostics_cloud_path must be shorter than or equal to 1024 characters")
                if not REGEX_PATTERNS['^gs://'].search(data__diagnosticscloudpath):
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".diagnostics_cloud_path must match pattern ^gs://")
        if "execution_environment" in data_keys:
            data_keys.remove("execution_environment")
            data__executionenvironment = data["execution_environment"]
            if not (isinstance(data__executionenvironment, str) and data__executionenvironment == 'gen1' or isinstance(data__executionenvironment, str) and data__executionenvironment == 'gen2'):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".execution_environment must be one of ['gen1', 'gen2']")
        if "service_registries" in data_keys:
            data_keys.remove("service_registries")
            data__serviceregistries = data["service_registries"]
            if not isinstance(data__serviceregistries, (list, tuple, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".service_registries must be array or null")
            data__serviceregistries_is_list = isinstance(data__serviceregistries, (list, tuple))
            if data__serviceregistries_is_list:
                data__serviceregistries_len = len(data__serviceregistries)
                for data__serviceregistries_x, data__serviceregistries_item in enumerate(data__serviceregistries):
                    if not isinstance(data__serviceregistries_item, (dict)):
                        raise JsonSchemaValueException("" + (name_prefix or "data") + ".service_registries[{data__serviceregistries_x}]".format(**locals()) + " must be object")
        if "event_store_table_id" in data_keys:
            data_keys.remove("event_store_table_id")
            data__eventstoretableid = data["event_store_table_id"]
            if not isinstance(data__eventstoretableid, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".event_store_table_id must be string or null")
            if isinstance(data__eventstoretableid, str):
                data__eventstoretableid_len = len(data__eventstoretableid)
                if data__eventstoretableid_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".event_store_table_id must be longer than or equal to 1 characters")
                if data__eventstoretableid_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".event_store_table_id must be shorter than or equal to 1024 characters")
        if "delete_local_files" in data_keys:
            data_keys.remove("delete_local_files")
            data__deletelocalfiles = data["delete_local_files"]
            if not isinstance(data__deletelocalfiles, (bool)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".delete_local_files must be boolean")
        if "temporary_files_location" in data_keys:
            data_keys.remove("temporary_files_location")
            data__temporaryfileslocation = data["temporary_files_location"]
            if not isinstance(data__temporaryfileslocation, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".temporary_files_location must be string or null")
            if isinstance(data__temporaryfileslocation, str):
                data__temporaryfileslocation_len = len(data__temporaryfileslocation)
                if data__temporaryfileslocation_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".temporary_files_location must be longer than or equal to 1 characters")
                if data__temporaryfileslocation_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".temporary_files_location must be shorter than or equal to 1024 characters")
        if "setup_file_path" in data_keys:
            data_keys.remove("setup_file_path")
            data__setupfilepath = data["setup_file_path"]
            if not isinstance(data__setupfilepath, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".setup_file_path must be string or null")
            if isinstance(data__setupfilepath, str):
                data__setupfilepath_len = len(data__setupfilepath)
                if data__setupfilepath_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".setup_file_path must be longer than or equal to 1 characters")
                if data__setupfilepath_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".setup_file_path must be shorter than or equal to 1024 characters")
        if "service_account_email" in data_keys:
            data_keys.remove("service_account_email")
            data__serviceaccountemail = data["service_account_email"]
            if not isinstance(data__serviceaccountemail, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".service_account_email must be string or null")
            if isinstance(data__serviceaccountemail, str):
                data__serviceaccountemail_len = len(data__serviceaccountemail)
                if data__serviceaccountemail_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".service_account_email must be longer than or equal to 1 characters")
                if data__serviceaccountemail_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".service_account_email must be shorter than or equal to 1024 characters")
        if "machine_type" in data_keys:
            data_keys.remove("machine_type")
            data__machinetype = data["machine_type"]
            if not isinstance(data__machinetype, (str, NoneType)):
                raise JsonSchemaValueException("" + (name_prefix or "data") + ".machine_type must be string or null")
            if isinstance(data__machinetype, str):
                data__machinetype_len = len(data__machinetype)
                if data__machinetype_len < 1:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".machine_type must be longer than or equal to 1 characters")
                if data__machinetype_len > 1024:
                    raise JsonSchemaValueException("" + (name_prefix or "data") + ".machine_type must be shorter than or equal to 1024 characters")
        if data_keys:
            raise JsonSchemaValueException("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data