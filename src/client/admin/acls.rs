//! Access control lists: which there are, adding and deleting them.
use super::{Admin, not_controller};
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use crate::protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use crate::protocol::messages::{CreateAclsResponse, DeleteAclsResponse, DescribeAclsRequest};

/// What an entry is about; the numbers are the protocol's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclResource {
    pub kind: i8,
    pub name: String,
    pub pattern_type: i8,
}

/// Who may, or may not, do what from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclEntry {
    /// `User:alice`
    pub principal: String,
    pub host: String,
    pub operation: i8,
    pub permission: i8,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclBinding {
    pub resource: AclResource,
    pub entry: AclEntry,
}

/// Which entries are meant; what is absent matches anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclFilter {
    pub kind: i8,
    pub name: Option<String>,
    pub pattern_type: i8,
    pub principal: Option<String>,
    pub host: Option<String>,
    pub operation: i8,
    pub permission: i8,
}

impl AclFilter {
    const ANYTHING: i8 = 1;

    /// Every entry of every resource.
    pub fn any() -> Self {
        Self {
            kind: Self::ANYTHING,
            name: None,
            pattern_type: Self::ANYTHING,
            principal: None,
            host: None,
            operation: Self::ANYTHING,
            permission: Self::ANYTHING,
        }
    }

    /// Every entry of the resources that a pattern names.
    pub fn of(resource: &AclResource) -> Self {
        Self {
            kind: resource.kind,
            name: Some(resource.name.clone()),
            pattern_type: resource.pattern_type,
            ..Self::any()
        }
    }

    /// That entry of the resources that a pattern names.
    pub fn one(resource: &AclResource, entry: &AclEntry) -> Self {
        Self {
            principal: Some(entry.principal.clone()),
            host: Some(entry.host.clone()),
            operation: entry.operation,
            permission: entry.permission,
            ..Self::of(resource)
        }
    }
}

impl Admin {
    /// The entries that a filter lets through.
    pub async fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<AclBinding>> {
        let build = |_version| DescribeAclsRequest {
            resource_type_filter: filter.kind,
            resource_name_filter: filter.name.clone(),
            pattern_type_filter: filter.pattern_type,
            principal_filter: filter.principal.clone(),
            host_filter: filter.host.clone(),
            operation: filter.operation,
            permission_type: filter.permission,
        };
        let options = self.options("describeAcls");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let mut bindings = Vec::new();
        for described in response.resources {
            let resource = AclResource {
                kind: described.resource_type,
                name: described.resource_name,
                pattern_type: described.pattern_type,
            };
            bindings.extend(described.acls.into_iter().map(|acl| AclBinding {
                resource: resource.clone(),
                entry: AclEntry {
                    principal: acl.principal,
                    host: acl.host,
                    operation: acl.operation,
                    permission: acl.permission_type,
                },
            }));
        }
        Ok(bindings)
    }

    /// Adds entries; the first that cannot be added is the error.
    pub async fn create_acls(&self, bindings: &[AclBinding]) -> Result<()> {
        let creation = |binding: &AclBinding| AclCreation {
            resource_type: binding.resource.kind,
            resource_name: binding.resource.name.clone(),
            resource_pattern_type: binding.resource.pattern_type,
            principal: binding.entry.principal.clone(),
            host: binding.entry.host.clone(),
            operation: binding.entry.operation,
            permission_type: binding.entry.permission,
        };
        let build = |_version| CreateAclsRequest {
            creations: bindings.iter().map(creation).collect(),
        };
        let options = self.options("createAcls");
        let verdict = |response: &CreateAclsResponse| {
            not_controller(response.results.iter().map(|result| result.error_code))
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, verdict)
            .await?;
        for result in response.results {
            ClientError::check(result.error_code, result.error_message.as_deref())?;
        }
        Ok(())
    }

    /// Deletes what the filters let through; the first failure is the error.
    pub async fn delete_acls(&self, filters: &[AclFilter]) -> Result<()> {
        let wanted = |filter: &AclFilter| DeleteAclsFilter {
            resource_type_filter: filter.kind,
            resource_name_filter: filter.name.clone(),
            pattern_type_filter: filter.pattern_type,
            principal_filter: filter.principal.clone(),
            host_filter: filter.host.clone(),
            operation: filter.operation,
            permission_type: filter.permission,
        };
        let build = |_version| DeleteAclsRequest {
            filters: filters.iter().map(wanted).collect(),
        };
        let options = self.options("deleteAcls");
        let verdict = |response: &DeleteAclsResponse| {
            let results = response.filter_results.iter();
            not_controller(results.map(|result| result.error_code))
        };
        let response = self
            .client()
            .call(options, Route::Controller, build, verdict)
            .await?;
        for result in response.filter_results {
            ClientError::check(result.error_code, result.error_message.as_deref())?;
            for deleted in result.matching_acls {
                ClientError::check(deleted.error_code, deleted.error_message.as_deref())?;
            }
        }
        Ok(())
    }
}
