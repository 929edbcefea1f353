//! `StreamService`: messages to calls and back.

use configuration::stored::streams::Stream;
use proto::config::stream_service_server::StreamService;
use proto::config::{
    CreateStreamRequest, DataStream, DeleteStreamRequest, DeleteStreamResponse, ListStreamsRequest,
    ListStreamsResponse, UpdateStreamRequest,
};
use tonic::{Request, Response, Status};

use super::open;
use crate::calls::ConfigCalls;
use crate::properties::shown_time;

#[tonic::async_trait]
impl StreamService for ConfigCalls {
    async fn create_stream(
        &self,
        request: Request<CreateStreamRequest>,
    ) -> Result<Response<DataStream>, Status> {
        let (headers, _patience, CreateStreamRequest { property_id, name }) = open(request);
        Ok(Response::new(shown(ConfigCalls::create_stream(self, &headers, property_id, name).await?)))
    }

    async fn list_streams(
        &self,
        request: Request<ListStreamsRequest>,
    ) -> Result<Response<ListStreamsResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let streams = self.streams(&headers, request.property_id).await?;
        Ok(Response::new(ListStreamsResponse { streams: streams.into_iter().map(shown).collect() }))
    }

    async fn update_stream(
        &self,
        request: Request<UpdateStreamRequest>,
    ) -> Result<Response<DataStream>, Status> {
        let (headers, _patience, request) = open(request);
        let UpdateStreamRequest { property_id, measurement_id, name } = request;
        Ok(Response::new(shown(self.rename_stream(&headers, property_id, measurement_id, name).await?)))
    }

    async fn delete_stream(
        &self,
        request: Request<DeleteStreamRequest>,
    ) -> Result<Response<DeleteStreamResponse>, Status> {
        let (headers, _patience, DeleteStreamRequest { property_id, measurement_id }) = open(request);
        ConfigCalls::delete_stream(self, &headers, property_id, measurement_id).await?;
        Ok(Response::new(DeleteStreamResponse {}))
    }
}

fn shown(stream: Stream) -> DataStream {
    let Stream { property_id, measurement_id, name, created_at_ms } = stream;
    DataStream { property_id, measurement_id, name, created_at: shown_time(created_at_ms) }
}
